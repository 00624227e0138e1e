"""Model-level optimisation: what is done to weights before they are submitted; the package itself never imports it."""
