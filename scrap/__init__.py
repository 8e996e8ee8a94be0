"""From B3's page to the bytes of its file, with an installed browser."""
