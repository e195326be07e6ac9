"""Regions that a reader of perfusion maps looks at, and the numbers that are read off them."""
