"""The scales of models that were measured; `lookalike.levels` reads them."""
