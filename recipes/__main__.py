"""`python -m recipes COMMAND ...` is `zoo COMMAND ...`."""

import sys

from recipes.cli import main

sys.exit(main())
