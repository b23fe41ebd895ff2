"""From a folder of images to a classifier: recipes, and what they are made of."""
