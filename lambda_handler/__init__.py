"""S3 event in, Glue runs out."""
