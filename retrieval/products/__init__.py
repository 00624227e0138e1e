"""A catalogue of public products and known queries, searched by BM25 from memory-mapped files."""
