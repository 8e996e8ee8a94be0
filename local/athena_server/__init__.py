"""The local Athena: statements in Trino's SQL, translated for DuckDB and answered from S3 and the catalog (ADR 17)."""
