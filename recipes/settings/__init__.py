"""Every setting of every command, once: flags, their help, `recipe.json` and the functions read it here."""
