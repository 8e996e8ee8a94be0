"""`make attack`: what a stranger can send to the API, and proof that none of it gets in."""
