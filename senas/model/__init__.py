"""Networks: SE blocks as modules, sites and surgery on the traced graph, backbones, costs."""
