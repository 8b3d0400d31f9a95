"""How pictures are normalised on the way into a backbone: by the mean and the deviation of ImageNet's, from 0 to 1."""

MEAN = (0.485, 0.456, 0.406)  # red, green, blue
STD = (0.229, 0.224, 0.225)
