"""A trained model as a folder: manifest, weights, card, preprocessing."""
