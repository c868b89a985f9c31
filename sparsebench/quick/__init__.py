"""The embedded default: a toy language, its five tasks and four tiny pretrained backbones.

The language is a seeded grammar of our own (``lexicon``, ``language``); ``documents`` is what the
backbones read; ``examples``, ``passages`` and ``meanings`` are what they are then fine-tuned on.
The backbones lie in ``backbones/`` and are made by ``scripts/pretrain_quick.py``, seed 0, in 2,500
steps of 64 documents, T5 in 3,500, in minutes each on one core. The losses of their last 250 steps:
BERT 1.135 and RoBERTa 1.137 (masked words), GPT-2 2.031 and T5 0.602 (which words were exchanged as
well).
"""
