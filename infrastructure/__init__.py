"""What stands in the cloud, and how it gets there: one template, reproducible packages, one deploy."""
