"""Small weights that this project's own recipes trained; `README.md` is their card."""
