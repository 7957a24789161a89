from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import encode, make_options, write_lmdb, write_options

import uml_in_arch.toolbox  # noqa: F401
from uml_in_arch import option_check, options
from uml_in_arch.errors import CheckpointError, DataError, OptionError, UserError


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_options(tmp_path_factory.mktemp("data"))


def changed(good: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    result = copy.deepcopy(good)
    *parents, leaf = path.split(".")
    section = result
    for key in parents:
        section = section[key]
    section[leaf] = value
    return result


def message(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


class TestLoad:
    def test_numbers_and_order(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yml"
        file.write_text("lr: 1e-4\nb: -2.5E+3\nc: 3e2\nname: 1e\nint: 10\nold: !!float 5e3\n")
        loaded = options.load(file)
        assert loaded == {"lr": 1e-4, "b": -2500.0, "c": 300.0, "name": "1e", "int": 10, "old": 5000.0}
        assert list(loaded) == ["lr", "b", "c", "name", "int", "old"]

    def test_python_objects_are_refused(self, tmp_path: Path) -> None:
        touched = tmp_path / "touched"
        file = tmp_path / "a.yml"
        file.write_text(
            f"a: 1\nb: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{touched}]]"
        )
        with pytest.raises(OptionError, match=r"a\.yml, line 2: not plain YAML") as error:
            options.load(file)
        message(error)
        assert not touched.exists()

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("a: 1\nb: {c: 1,\n  c: 2}", "line 3: the key 'c' is there twice"),
            ("a: [1", "not plain YAML"),
            ("- a\n- b", "is a mapping"),
            ("", "is a mapping"),
        ],
    )
    def test_bad_files(self, tmp_path: Path, text: str, expected: str) -> None:
        file = tmp_path / "a.yml"
        file.write_text(text)
        with pytest.raises(OptionError) as error:
            options.load(file)
        assert expected in message(error)
        assert str(file) in message(error)

    def test_missing_file_names_a_similar_one(self, tmp_path: Path) -> None:
        (tmp_path / "train_GoPro.yml").write_text("a: 1")
        with pytest.raises(OptionError, match=r"did you mean 'train_GoPro\.yml'"):
            options.load(tmp_path / "train_gopro.yml")

    def test_bases_merge_level_by_level(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "root.yml").write_text("train: {lr: 1, pixel: {w: 1}, ssim: {w: 2}}\nwidths: [1, 2, 3]\nname: root")
        (tmp_path / "sub/middle.yml").write_text("base: ../root.yml\ntrain: {lr: 2, ssim: ~}\nname: middle")
        (tmp_path / "leaf.yml").write_text("base: sub/middle.yml\ntrain: {pixel: {r: mean}}\nwidths: [4]")
        assert options.load(tmp_path / "leaf.yml") == {
            "train": {"lr": 2, "pixel": {"w": 1, "r": "mean"}},
            "widths": [4],
            "name": "middle",
        }

    def test_a_section_of_another_type_replaces_the_base(self, tmp_path: Path) -> None:
        (tmp_path / "root.yml").write_text("net: {type: A, width: 1}\nopt: {type: Adam, lr: 1}")
        (tmp_path / "leaf.yml").write_text("base: root.yml\nnet: {type: B, depth: 2}\nopt: {type: Adam, eps: 3}")
        assert options.load(tmp_path / "leaf.yml") == {
            "net": {"type": "B", "depth": 2},
            "opt": {"type": "Adam", "lr": 1, "eps": 3},
        }

    def test_several_bases_merge_from_left_to_right(self, tmp_path: Path) -> None:
        (tmp_path / "root.yml").write_text("name: root\ntrain: {lr: 1, pixel: {w: 1}, ssim: {w: 2}, sparse: {w: 3}}")
        (tmp_path / "whole.yml").write_text("base: root.yml\nname: whole\ntrain: {lr: 2}")
        (tmp_path / "part.yml").write_text("train: {ssim: ~, pixel: {w: 5}}")
        (tmp_path / "last.yml").write_text("base: part.yml\ntrain: {sparse: ~}")
        (tmp_path / "leaf.yml").write_text("base: [whole.yml, last.yml]\nname: leaf\ntrain: {pixel: {r: mean}}")
        assert options.load(tmp_path / "leaf.yml") == {
            "name": "leaf",
            "train": {"lr": 2, "pixel": {"w": 5, "r": "mean"}},
        }

    @pytest.mark.parametrize("base", ["3", "~", "[root.yml, 3]", "{a: root.yml}"])
    def test_base_that_names_no_files(self, tmp_path: Path, base: str) -> None:
        (tmp_path / "root.yml").write_text("name: root")
        (tmp_path / "leaf.yml").write_text(f"base: {base}")
        with pytest.raises(OptionError, match=r"leaf\.yml: base: found .*a list of names is expected"):
            options.load(tmp_path / "leaf.yml")

    def test_circular_base(self, tmp_path: Path) -> None:
        (tmp_path / "a.yml").write_text("base: b.yml")
        (tmp_path / "b.yml").write_text("base: a.yml")
        with pytest.raises(OptionError, match="leads back to itself"):
            options.load(tmp_path / "a.yml")

    def test_overrides(self, tmp_path: Path) -> None:
        file = tmp_path / "a.yml"
        file.write_text("name: a\ntrain: {optim_g: {lr: 1e-3}, list: []}")
        loaded = options.load(file, ["train:optim_g:lr=2e-4", "train:list=[1, x]", "name=b=c", "train:new=~"])
        assert loaded == {"name": "b=c", "train": {"optim_g": {"lr": 2e-4}, "list": [1, "x"], "new": None}}

    @pytest.mark.parametrize(
        ("override", "expected"),
        [
            ("train:optin_g:lr=1", "did you mean 'optim_g'"),
            ("name:x=1", "no section 'name'"),
            ("train", "write it like"),
            ("name=!!python/name:os.system", "not plain YAML"),
        ],
    )
    def test_bad_overrides(self, tmp_path: Path, override: str, expected: str) -> None:
        file = tmp_path / "a.yml"
        file.write_text("name: a\ntrain: {optim_g: {lr: 1e-3}}")
        with pytest.raises(OptionError) as error:
            options.load(file, [override])
        assert expected in message(error)

    def test_dump_is_read_back_equal(self, tmp_path: Path, good: dict[str, Any]) -> None:
        tricky = {**good, "strings": ["1e-4", "yes", "~", "é"], "floats": [1e-7, 1e22, 0.1]}
        (tmp_path / "a.yml").write_text(options.dump(tricky), encoding="utf-8")
        assert options.load(tmp_path / "a.yml") == tricky


class TestCheck:
    def test_good_options_pass(self, good: dict[str, Any]) -> None:
        option_check.check(options.complete(good, is_train=True), is_train=True)

    @pytest.mark.parametrize(
        ("path", "value", "expected"),
        [
            ("nmae", "x", "nmae: unknown key; did you mean 'name'?"),
            ("model_type", "SRModle", "no model is registered as 'SRModle'; did you mean 'SRModel'?"),
            ("num_gpu", 99, "set num_gpu: auto"),
            ("num_gpu", "all", "a number or auto"),
            ("scale", "1", "scale: found '1'"),
            ("path.pretrain_networkg", None, "did you mean 'pretrain_network_g'?"),
            ("train.total_iters", 3, "train.total_iters: unknown key; did you mean 'total_iter'?"),
            ("train.total_iter", "many", "train.total_iter: found 'many'"),
            ("train.total_iter", 0, "train.total_iter: found 0"),
            ("train.ema_decay", 1, "train.ema_decay: found 1"),
            ("train.optim_g.lr", "fast", "train.optim_g.lr: found 'fast'"),
            ("train.optim_g.type", "adam", "torch.optim has no 'adam'; did you mean 'Adam'?"),
            ("train.optim_g.beta", [0.9, 0.9], "did you mean 'betas'?"),
            ("train.scheduler.type", "Cosine", "train.scheduler.type: found 'Cosine'"),
            ("train.scheduler.type", "LinearDecayLR", "train.scheduler.type: found 'LinearDecayLR'"),
            ("train.scheduler", {"type": "CosineAnnealingRestartLR", "periods": [10]}, "less than total_iter 20"),
            ("train.pixel_opt.type", "L1", "did you mean 'L1Loss'?"),
            ("train.pixel_opt.loss_wieght", 1, "did you mean 'loss_weight'?"),
            ("train.pixel_opt.loss_weight", "1", "train.pixel_opt.loss_weight: found '1'"),
            ("train.pixel_opt.reduction", "average", "one of none, mean, sum"),
            ("network_g.type", "SRVGG", "did you mean 'SRVGGNetCompact'?"),
            ("network_g.num_features", 3, "did you mean 'num_feat'?"),
            ("network_g.num_feat", "8", "network_g.num_feat: found '8'"),
            ("network_g", {"type": "RRDBNet"}, "network_g.num_in_ch: missing"),
            ("val.val_freq", None, "val.val_freq: missing"),
            ("val.metrics.psnr.type", "psnr", "did you mean 'calculate_psnr'?"),
            ("val.metrics.psnr.better", "bigger", "val.metrics.psnr.better"),
            ("val.metrics.psnr", {"type": "calculate_psnr"}, "val.metrics.psnr.crop_border: missing"),
            ("logger.print_frequency", 3, "logger.print_frequency: unknown key; did you mean 'print_freq'?"),
            ("datasets.train.gt_size", "abc", "datasets.train.gt_size: found 'abc'"),
            ("datasets.train.use_flip", True, "did you mean 'use_hflip'?"),
            ("datasets.train.use_hflip", None, "training needs use_hflip"),
            ("datasets.train.type", "PairedDataset", "did you mean 'PairedImageDataset'?"),
            ("datasets.train.io_backend.type", "lmbd", "datasets.train.io_backend.type"),
            ("datasets.train.io_backend.type", "disk", "does not fit"),
            ("datasets.train.batch_size_per_gpu", 6, "set dataset_enlarge_ratio to at least 2"),
            ("datasets.train.persistent_workers", True, "needs num_worker_per_gpu"),
            ("datasets.train.prefetch_mode", "cuda", "needs a GPU"),
            ("datasets.validate", {}, "datasets.validate: call it train or val"),
        ],
    )
    def test_options_that_cannot_work(self, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
        with pytest.raises(OptionError) as error:
            option_check.check(options.complete(changed(good, path, value), True), True, "my.yml")
        assert message(error).startswith("my.yml: ")
        assert expected in message(error)

    def test_missing_sections(self, good: dict[str, Any]) -> None:
        for section in ("name", "datasets", "train", "logger", "network_g"):
            rest = {key: value for key, value in good.items() if key != section}
            with pytest.raises(OptionError, match=f"{section}.*missing"):
                option_check.check(options.complete(rest, True), True)

    def test_network_that_refuses_its_arguments(self, good: dict[str, Any]) -> None:
        network = {"type": "UMLIN", "num_steps": 0}
        with pytest.raises(OptionError, match="network_g"):
            option_check.check(options.complete(changed(good, "network_g", network), True), True)

    def test_metric_without_ground_truth(self, good: dict[str, Any]) -> None:
        val = good["datasets"]["val"]
        single = {**val, "type": "SingleImageDataset"}
        del single["dataroot_gt"]
        with pytest.raises(OptionError, match="ground truth"):
            option_check.check(options.complete(changed(good, "datasets.val", single), True), True)

    def test_section_need_not_say_what_basicsr_reads(self, good: dict[str, Any]) -> None:
        test = {key: good[key] for key in ("name", "model_type", "scale", "num_gpu", "network_g")}
        test["datasets"] = {"test_1": good["datasets"]["val"]}
        full = options.complete(test, is_train=False)
        option_check.check(full, is_train=False)
        assert full["val"] == {"save_img": False, "suffix": None}
        assert "val" not in test

    def test_missing_checkpoint(self, good: dict[str, Any]) -> None:
        with pytest.raises(CheckpointError, match=r"none\.pth: there is no such file"):
            option_check.check(options.complete(changed(good, "path.pretrain_network_g", "none.pth"), True), True)

    def test_checkpoint_of_another_architecture(self, good: dict[str, Any], tmp_path: Path) -> None:
        file = tmp_path / "other.pth"
        torch.save({"params": {"conv.weight": torch.zeros(3)}}, file)
        with pytest.raises(CheckpointError, match="not weights of SRVGGNetCompact.*1 unexpected.*for example") as error:
            option_check.check(options.complete(changed(good, "path.pretrain_network_g", str(file)), True), True)
        message(error)


class TestData:
    def check(self, good: dict[str, Any], **keys: Any) -> str:
        train = {**good["datasets"]["train"], **keys}
        with pytest.raises(DataError) as error:
            option_check.check(options.complete(changed(good, "datasets.train", train), True), True)
        return message(error)

    def lmdb(self, folder: Path, keys: str, shape: tuple[int, int, int] = (48, 48, 3)) -> str:
        data = encode(np.zeros(shape, np.uint8))
        return str(write_lmdb(folder, dict.fromkeys(keys, data), dict.fromkeys(keys, shape)))

    def test_missing_folder(self, good: dict[str, Any], tmp_path: Path) -> None:
        root = str(tmp_path / "GoPro/train_blur.lmdb")
        text = self.check(good, dataroot_lq=root)
        assert root in text
        assert "run datasets_prep/prepare_gopro.py" in text

    def test_folder_that_is_no_lmdb(self, good: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "a.lmdb").mkdir()
        assert "no data.mdb" in self.check(good, dataroot_lq=str(tmp_path / "a.lmdb"))

    def test_unequal_keys(self, good: dict[str, Any], tmp_path: Path) -> None:
        blur, sharp = self.lmdb(tmp_path / "b.lmdb", "abcd"), self.lmdb(tmp_path / "s.lmdb", "abx")
        text = self.check(good, dataroot_lq=blur, dataroot_gt=sharp)
        assert "4 and 3, 3 only in one of them (c, d, x)" in text

    def test_small_pictures(self, good: dict[str, Any], tmp_path: Path) -> None:
        blur = self.lmdb(tmp_path / "b.lmdb", "ab", (20, 48, 3))
        sharp = self.lmdb(tmp_path / "s.lmdb", "ab", (20, 48, 3))
        text = self.check(good, dataroot_lq=blur, dataroot_gt=sharp)
        assert "2 pictures are smaller than the crop of 32 pixels, the first is 'a' with 48x20" in text

    def test_sizes_of_a_pair(self, good: dict[str, Any], tmp_path: Path) -> None:
        blur, sharp = self.lmdb(tmp_path / "b.lmdb", "a"), self.lmdb(tmp_path / "s.lmdb", "a", (48, 64, 3))
        assert "'a' is 48x48, its ground truth 64x48" in self.check(good, dataroot_lq=blur, dataroot_gt=sharp)

    def test_grey_pictures(self, good: dict[str, Any], tmp_path: Path) -> None:
        blur = self.lmdb(tmp_path / "b.lmdb", "a", (48, 48, 1))
        sharp = self.lmdb(tmp_path / "s.lmdb", "a", (48, 48, 1))
        text = self.check(good, dataroot_lq=blur, dataroot_gt=sharp)
        assert "do not have 3 channels, the first is 'a' with 1" in text
        grey = {**good["datasets"]["train"], "dataroot_lq": blur, "dataroot_gt": sharp, "color": "y"}
        grey["dataset_enlarge_ratio"] = 2
        option_check.check(options.complete(changed(good, "datasets.train", grey), True), True)

    def test_broken_meta_info(self, good: dict[str, Any], tmp_path: Path) -> None:
        blur = self.lmdb(tmp_path / "b.lmdb", "ab")
        (Path(blur) / "meta_info.txt").write_text("a.png (48,48,3) 1\nb.png 48x48\n")
        assert "line 2 is not like 'key.png (720,1280,3) 1'" in self.check(good, dataroot_lq=blur)

    def test_lmdb_with_fewer_pictures_than_listed(self, good: dict[str, Any], tmp_path: Path) -> None:
        shapes = dict.fromkeys("ab", (48, 48, 3))
        blur = write_lmdb(tmp_path / "b.lmdb", {"a": b"x"}, shapes)
        assert "data.mdb holds 1 pictures, meta_info.txt lists 2" in self.check(good, dataroot_lq=str(blur))

    def test_data_mdb_that_is_no_lmdb(self, good: dict[str, Any], tmp_path: Path) -> None:
        blur = Path(self.lmdb(tmp_path / "b.lmdb", "a"))
        (blur / "data.mdb").write_bytes(b"nonsense" * 4096)
        assert "cannot be opened" in self.check(good, dataroot_lq=str(blur))

    def test_unequal_folders(self, good: dict[str, Any], tmp_path: Path) -> None:
        for kind, names in {"blur": "ab", "sharp": "ac"}.items():
            (tmp_path / kind).mkdir()
            for name in names:
                (tmp_path / kind / f"{name}.png").write_bytes(encode(np.zeros((48, 48, 3), np.uint8)))
        roots = {"dataroot_lq": str(tmp_path / "blur"), "dataroot_gt": str(tmp_path / "sharp")}
        assert "(b.png, c.png)" in self.check(good, **roots, io_backend={"type": "disk"})


def test_option_file_is_named_in_errors(tmp_path: Path, tiny_options: dict[str, Any]) -> None:
    file = write_options(tmp_path / "a.yml", {**tiny_options, "nmae": 1})
    with pytest.raises(OptionError, match=r"^.*a\.yml: nmae"):
        option_check.check(options.complete(options.load(file), True), True, str(file))
