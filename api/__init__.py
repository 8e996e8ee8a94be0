"""HTTP: routes, tokens and problem responses around collaborators that are handed in."""
