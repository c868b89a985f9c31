"""The built-in suite: a toy language, its five tasks and four tiny pretrained backbones.

The language is a seeded grammar (``lexicon``, ``language``). The backbones are pretrained on
``documents`` and fine-tuned on ``examples``. They are stored in ``backbones/``;
``scripts/pretrain_quick.py`` makes them with seed 0 in 2,500 steps of 64 documents (T5 in 3,500),
in minutes each on one core. The losses of their last 250 steps: BERT 1.135 and RoBERTa 1.137
(masked words); GPT-2 2.031 and T5 0.602 (with the detection of replaced words).
"""
