"""Makes tests/fixtures/quantized: checkpoints with weights in 8 and 4 bits, with transformers' numbers.

One directory for each case: config.json and weights as released models have them, and golden.json with the name of a
checkpoint of make_golden.py, whose tokenizer goes with it, and the numbers. The weights are random ones, quantised here:

- `mxfp4`: gpt-oss. Experts by the rule of OCP Microscaling Formats 1.0, 6.3: the scale of 32 numbers is the power of two
  of the largest, less 2; numbers are rounded to the nearest of E2M1. In two files, with blocks and scales apart.
- `fp8`, `fp8-experts`: Qwen3 and Qwen3-MoE, quantised by transformers' Fp8Quantize in blocks of 16 x 16.
- `fp8-cut`: DeepSeek-V3 with blocks that are cut off at the end of a matrix. transformers cannot load it; the
  numbers are those of a model with weights of its _dequantize_fp8_weight.
- `fp8-tensor`: Ministral 3, with one scale for each matrix, and scales of activations.

`fp8-lora` and `mxfp4-lora` are adapters of PEFT on two of them. `*-tensors*.safetensors` have single tensors with the numbers that transformers dequantises them to, in float32 and bfloat16.

Each case is loaded by transformers from its files, with dequantised weights in float32. Versions as in make_golden.py.
Fixed seeds; run again, it gives the same bytes. No network.

    python3 tests/compute/make_quantized.py
    python3 tests/compute/make_quantized.py mxfp4      # only this case
"""
import json
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

os.environ["HF_HUB_OFFLINE"] = "1"
sys.dont_write_bytecode = True

import peft
import torch
import transformers
from common import FIXTURES, TEMPERATURES, fresh, score, write_json
from make_golden import all_logits, quieten, randomise, seeded
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.integrations.finegrained_fp8 import Fp8Dequantize, Fp8Quantize, _dequantize_fp8_weight
from transformers.integrations.mxfp4 import FP4_VALUES, convert_moe_packed_tensors

QUANTIZED = FIXTURES.parent / "quantized"
BLOCK = [16, 16]
FP8 = {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": BLOCK}

# name: (base, changes of its config.json, quantization_config)
CASES = {
    "mxfp4": ("gpt_oss", dict(hidden_size=64, intermediate_size=32, num_hidden_layers=2, num_local_experts=4, num_experts_per_tok=2,
                              layer_types=["sliding_attention", "full_attention"]),
              {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}),
    "fp8": ("qwen3", dict(num_hidden_layers=2, layer_types=["full_attention"] * 2),
            # The last one is quantised all the same: transformers goes by the files when it dequantises.
            dict(FP8, modules_to_not_convert=["lm_head", "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.up_proj"])),
    "fp8-experts": ("qwen3_moe", dict(moe_intermediate_size=16, num_local_experts=4), dict(FP8, ignored_layers=["model.layers.0.mlp.gate", "model.layers.1.mlp.gate"])),
    "fp8-cut": ("deepseek_v3", dict(num_hidden_layers=2, n_routed_experts=4, moe_intermediate_size=20, n_group=2, topk_group=2, scale_fmt="ue8m0"), FP8),
    "fp8-tensor": ("ministral3", dict(num_hidden_layers=2), {"quant_method": "fp8", "activation_scheme": "static", "weight_block_size": None, "dequantize": False,
                                                             "modules_to_not_convert": ["model.vision_tower", "model.multi_modal_projector", "lm_head"]}),
}
# name: (base, settings of LoraConfig)
ADAPTERS = {
    "fp8-lora": ("fp8", dict(target_modules=["q_proj", "down_proj"])),
    "mxfp4-lora": ("mxfp4", dict(target_modules=["q_proj"], target_parameters=["mlp.experts.gate_up_proj", "mlp.experts.down_proj"])),
}
NOT_CONVERTED = ("embed_tokens", "lm_head", "norm", "gate.weight", "router", "bias", "layers.1.self_attn.q_proj")


def main():
    torch.set_num_threads(1)
    quieten()
    rollouts = [json.loads(line) for line in (FIXTURES / "rollouts.jsonl").read_text(encoding="utf-8").splitlines()]
    for name in sys.argv[1:] or [*CASES, *ADAPTERS, "tensors"]:
        if name == "tensors":
            save_tensors()
            continue
        directory = fresh(QUANTIZED / name)
        if name in CASES:
            base = CASES[name][0]
            save_checkpoint(name, directory)
            model = load(name)
        else:
            base = ADAPTERS[name][0]
            save_adapter(name, directory)
            model = PeftModel.from_pretrained(load(base), directory).eval()
        golden = {
            "unit": "nats", "base": base,
            "made_with": {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__},
            "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
            "temperatures": {str(t): score(lambda ids: all_logits(model, ids), rollouts, t) for t in TEMPERATURES},
        }
        write_json(directory / "golden.json", golden)
        print(f"{name:12} {golden['temperatures']['1.0']['token_mean']:.6f}")


def save_checkpoint(name, directory):
    base, changes, quantisation = CASES[name]
    config = dict(json.loads((FIXTURES / base / "config.json").read_text()), dtype="bfloat16", **changes)
    config.pop("scale_fmt", None)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=torch.float32)
    randomise(model, name)
    with tempfile.TemporaryDirectory() as plain:
        model.to(torch.bfloat16).save_pretrained(plain)
        weights = load_file(Path(plain) / "model.safetensors")
        config = json.loads((Path(plain) / "config.json").read_text())
    if "scale_fmt" in changes:
        quantisation = dict(quantisation, scale_fmt=changes["scale_fmt"])
    config["quantization_config"] = quantisation
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    stored = {}
    for key, weight in weights.items():
        stored.update(quantise(key, weight, quantisation))
    if name != "mxfp4":
        save(stored, directory / "model.safetensors")
        return
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    place = {key: files[key.endswith("_scales")] for key in stored}
    for file in files:
        save({key: tensor for key, tensor in stored.items() if place[key] == file}, directory / file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}, indent=2) + "\n")


def save(tensors, path):
    save_file({key: tensor.clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()}, path, metadata={"format": "pt"})
    path.chmod(0o644)


def quantise(key, weight, settings):
    """The stored tensors of a weight."""
    if settings["quant_method"] == "mxfp4":
        if not key.endswith(("experts.gate_up_proj", "experts.down_proj")):
            return {key: weight}
        blocks, scales = to_mxfp4(weight.float().transpose(1, 2))
        return {f"{key}_blocks": blocks, f"{key}_scales": scales}
    if any(part in key for part in NOT_CONVERTED):
        return {key: weight}
    block = settings["weight_block_size"]
    if block is None:
        scale = weight.float().abs().max() / 448
        activations = key.replace(".weight", ".activation_scale")
        return {key: to_fp8(weight.float() / scale), f"{key}_scale_inv": scale.bfloat16(), activations: torch.tensor(0.02, dtype=torch.bfloat16)}
    if weight.shape[0] % block[0] == 0 and weight.shape[1] % block[1] == 0 and "scale_fmt" not in settings:
        quantizer = SimpleNamespace(quantization_config=SimpleNamespace(weight_block_size=block, scale_fmt="float"))
        both = Fp8Quantize(quantizer)._quantize_one(key, weight)
        # Qwen3's scales are bfloat16, those of others float32.
        return {name: tensor.bfloat16() if name.endswith("inv") and "mlp.experts" not in name else tensor for name, tensor in both.items()}
    rows, columns = (-(-size // step) for size, step in zip(weight.shape, block))
    scales = torch.zeros(rows, columns)
    for row in range(rows):
        for column in range(columns):
            part = weight[row * block[0]:(row + 1) * block[0], column * block[1]:(column + 1) * block[1]]
            scales[row, column] = 2.0 ** torch.ceil(torch.log2(part.float().abs().max() / 448))  # ue8m0, stored as float32 in DeepSeek-V3.1
    return {key: to_fp8(weight.float() / spread(scales, weight.shape, block)), f"{key}_scale_inv": scales}


def spread(scales, shape, block):
    return scales.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)[:shape[0], :shape[1]]


def to_fp8(numbers):
    return numbers.clamp(-448, 448).to(torch.float8_e4m3fn)


def to_mxfp4(matrices):
    """Matrices x rows x columns as blocks and scales."""
    groups = matrices.reshape(*matrices.shape[:2], -1, 32)
    exponents = torch.floor(torch.log2(groups.abs().amax(-1))) - 2
    numbers = groups / 2 ** exponents[..., None]
    codes = (numbers[..., None] - torch.tensor(FP4_VALUES)).abs().argmin(-1).to(torch.uint8)
    codes = torch.where((codes == 0) & numbers.signbit(), 8, codes)  # -0
    return codes[..., 0::2] | codes[..., 1::2] << 4, (exponents + 127).to(torch.uint8)


def load(name):
    """The model of a case with dequantised weights in float32."""
    options = dict(dtype=torch.float32, attn_implementation="eager")
    if name != "fp8" and name != "fp8-tensor":
        options["experts_implementation"] = "eager"
    directory = QUANTIZED / name
    if name != "fp8-cut":
        # Weights that are not quantised stay in bfloat16.
        return AutoModelForCausalLM.from_pretrained(directory, **options).float().eval()
    stored = load_file(directory / "model.safetensors")
    with tempfile.TemporaryDirectory() as plain:
        weights = {key: tensor for key, tensor in stored.items() if not key.endswith("_scale_inv")}
        for key in weights:
            if f"{key}_scale_inv" in stored:
                weights[key] = _dequantize_fp8_weight(stored[key], stored[f"{key}_scale_inv"], BLOCK, torch.float32)
        save(weights, Path(plain) / "model.safetensors")
        config = json.loads((directory / "config.json").read_text())
        del config["quantization_config"]
        (Path(plain) / "config.json").write_text(json.dumps(config))
        return AutoModelForCausalLM.from_pretrained(plain, **options).eval()


def save_adapter(name, directory):
    base, settings = ADAPTERS[name]
    adapted = get_peft_model(load(base), LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **settings))
    generator = seeded(name)
    with torch.no_grad():
        for parameter_name, parameter in sorted(adapted.named_parameters()):
            if "lora_" in parameter_name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.2 if "lora_B" in parameter_name else 0.15))
    adapted.peft_config["default"].base_model_name_or_path = f"../{base}"
    adapted.save_pretrained(directory)
    (directory / "adapter_model.safetensors").chmod(0o644)
    (directory / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    path = directory / "adapter_config.json"
    saved = json.loads(path.read_text())
    for key in ("target_modules", "target_parameters"):  # sets, in random order
        if isinstance(saved[key], list):
            saved[key].sort()
    path.write_text(json.dumps(saved, indent=2) + "\n")


def save_tensors():
    """Single tensors: `NAME`, with what belongs to it, and `NAME.float32` and `NAME.bfloat16`, what it stands for."""
    generator = seeded("tensors")
    tensors = {}
    # Every number of 8 bits but NaN; four blocks, whose scales are not powers of two.
    every = torch.arange(256, dtype=torch.uint8)
    every[[127, 255]] = 1
    numbers = every.view(torch.float8_e4m3fn).reshape(16, 16)
    uneven = torch.rand(2, 2, generator=generator) * 1e-3
    one = torch.tensor(0.0123)
    fives = torch.arange(256, dtype=torch.uint8)
    fives[[124, 125, 126, 127, 252, 253, 254, 255]] = 3  # infinity and NaN
    bytes_of_scales = torch.tensor([[0, 127], [100, 140]], dtype=torch.uint8)
    stack = torch.stack([numbers, numbers.flip(0)])
    cases = {
        "blocks": (numbers, uneven), "blocks-bfloat16": (numbers, uneven.bfloat16()), "matrix": (numbers, one), "matrix-1": (numbers, one[None]),
        "rows": (numbers, torch.rand(16, 1, generator=generator)), "bytes": (numbers, bytes_of_scales), "e8m0": (numbers, bytes_of_scales.view(torch.float8_e8m0fnu)),
        "e5m2": (fives.view(torch.float8_e5m2).reshape(16, 16), uneven), "stack": (stack, torch.rand(2, 2, 2, generator=generator)),
        "stack-one": (stack, torch.rand(2, generator=generator)),
    }
    dequantise = Fp8Dequantize(None)
    for name, (quantised, scales) in cases.items():
        tensors[f"{name}.weight"], tensors[f"{name}.weight_scale_inv"] = quantised, scales
        for dtype in (torch.float32, torch.bfloat16):
            tensors[f"{name}.{str(dtype)[6:]}"] = dequantise._dequantize_one(quantised, scales, dtype)
    save(tensors, QUANTIZED / "fp8-tensors.safetensors")
    # In blocks of 8 x 8; the last ones of 15 rows and 13 columns are cut off.
    tensors = {}
    for name, quantised, scales in [("blocks", numbers, uneven), ("cut", numbers[:15, :13], uneven), ("stack", *cases["stack"])]:
        tensors[f"{name}.weight"], tensors[f"{name}.weight_scale_inv"] = quantised, scales
        tensors[f"{name}.float32"] = _dequantize_fp8_weight(quantised, scales, [8, 8], torch.float32)
        tensors[f"{name}.bfloat16"] = tensors[f"{name}.float32"].bfloat16()
    save(tensors, QUANTIZED / "fp8-tensors-in-blocks.safetensors")
    # Every pair of numbers of 4 bits, and every power of two up to the largest with which 6 is finite.
    blocks = torch.arange(256, dtype=torch.uint8).reshape(1, 8, 2, 16).repeat(16, 1, 1, 1)
    scales = torch.arange(256, dtype=torch.int64).clamp(max=251).to(torch.uint8).reshape(16, 8, 2)
    tensors = {"x_blocks": blocks, "x_scales": scales}
    for dtype in (torch.float32, torch.bfloat16):
        tensors[f"x.{str(dtype)[6:]}"] = convert_moe_packed_tensors(blocks, scales, dtype=dtype)
    save(tensors, QUANTIZED / "mxfp4-tensors.safetensors")


if __name__ == "__main__":
    main()
