"""The numbers of CLIP's ViT-B/16 (Radford et al., ICML 2021), for vit.py in torch and vit_graph.py in OpenVINO."""

WIDTH, LAYERS, HEADS, PATCH, SIZE = 768, 12, 12, 16, 224  # channels, blocks, attention heads, pixels, pixels
EPSILON = 1e-5  # of the layer norms
GELU_SLOPE = 1.702  # x * sigmoid(1.702 x) stands for GELU (Hendrycks and Gimpel, 2016), as CLIP was trained
