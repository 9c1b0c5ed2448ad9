"""Callbacks for frameworks that have none of their own for Weights & Biases."""
