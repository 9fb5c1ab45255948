"""The scales of models that were measured; `lookalike.search.levels` reads them."""
