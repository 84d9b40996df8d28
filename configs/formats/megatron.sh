# Written by hptransfer 0.1.0 for Megatron-LM (flags), megatron-core 0.19.2.
# Use: source FILE; torchrun ... pretrain_gpt.py "${HPTRANSFER_ARGS[@]}"
# hptransfer-plan: {"law": "step-law", "law_digest": "sha256:82166565dbe57b3fdfa05de867c17c1b5ada79886ede785652b5e330b85064cd", "params": 1000000000.0, "params_kind": "non-embedding", "tokens": 100000000000.0}
HPTRANSFER_ARGS=(
    --optimizer adam
    --lr 1.588e-03
    --weight-decay 0.06897
    --adam-beta1 0.9
    --adam-beta2 0.95
    --adam-eps 1.0e-08
    --clip-grad 1.0
    --seq-length 2048
    --train-iters 95368
    --lr-warmup-iters 954
    --global-batch-size 512
    --micro-batch-size 4
    --lr-decay-iters 95368
    --lr-decay-style cosine
    --min-lr 9.999636e-06
)
