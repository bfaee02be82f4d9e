"""Writes the sources of the site's pages from what the repository holds."""
