# Written by hptransfer 0.1.0 for nanoGPT (Python), nanoGPT 3adf61e.
# Use: python train.py FILE
# hptransfer-plan: {"law": "step-law", "law_digest": "sha256:82166565dbe57b3fdfa05de867c17c1b5ada79886ede785652b5e330b85064cd", "params": 1000000000.0, "params_kind": "non-embedding", "tokens": 100000000000.0}
learning_rate = 1.588e-03
weight_decay = 0.06897
beta1 = 0.9
beta2 = 0.95
grad_clip = 1.0
block_size = 2048
max_iters = 95368
batch_size = 4
gradient_accumulation_steps = 128
decay_lr = True
warmup_iters = 954
lr_decay_iters = 95368
min_lr = 9.999636e-06
