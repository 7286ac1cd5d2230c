"""Finding texts by meaning, by words, or by both: indexes on disk, fusion and re-ranking."""
