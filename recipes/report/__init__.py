"""Self-contained HTML pages with their charts."""
