"""The engine that runs models through vLLM."""
