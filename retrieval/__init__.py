"""Evidence: words, BM25, vectors, their fusion, and the catalogue of products."""
