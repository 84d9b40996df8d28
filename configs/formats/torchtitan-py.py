# Written by hptransfer 0.1.0 for torchtitan (Python), torchtitan 0.3.0.
# Use: Trainer.Config(..., optimizer=optimizer, lr_scheduler=lr_scheduler, training=training), from FILE
# hptransfer-plan: {"law": "step-law", "law_digest": "sha256:82166565dbe57b3fdfa05de867c17c1b5ada79886ede785652b5e330b85064cd", "params": 1000000000.0, "params_kind": "non-embedding", "tokens": 100000000000.0}
from torchtitan.components.optimizer import LRSchedulersContainer, default_adamw
from torchtitan.config import TrainingConfig

optimizer = default_adamw(
    lr=1.588e-03,
    weight_decay=0.06897,
    betas=[0.9, 0.95],
    eps=1.0e-08,
)

lr_scheduler = LRSchedulersContainer.Config(
    warmup_steps=954,
    min_lr_factor=6.297e-03,
    decay_type='cosine',
)

training = TrainingConfig(
    max_norm=1.0,
    seq_len=2048,
    steps=95368,
    local_batch_size=4,
    global_batch_size=512,
)
