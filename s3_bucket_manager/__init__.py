"""The raw bucket: B3's bytes, the Parquet made from them, and what became of each session."""
