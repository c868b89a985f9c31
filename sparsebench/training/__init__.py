"""Training and prediction: one loop on ``transformers.Trainer`` for every method.

Nothing is imported here, so that a parent of runs can use ``distributed`` without torch.
"""
