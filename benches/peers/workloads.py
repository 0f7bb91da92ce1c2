"""Synthetic workloads of DLRM, as benches/training.rs has them: shapes, and batches that are made once and used in turn."""

from dataclasses import dataclass

import numpy as np

#: Batches of a cycle; as many as in our own benchmark, so that the same share of them is in the caches.
BATCHES = 64
#: Rows of the 26 tables of the Criteo Kaggle data set, in the order of its columns.
KAGGLE = [
    1460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5683, 8_351_593, 3194, 27, 14_992, 5_461_306, 10, 5652, 2173, 4,
    7_046_547, 18, 15, 286_181, 105, 142_572,
]  # fmt: skip
#: Rows of the 26 tables of Criteo's terabyte log as MLPerf trains on it.
TERABYTE = [
    39_884_406, 39_043, 17_289, 7420, 20_263, 3, 7120, 1543, 63, 38_532_951, 2_953_546, 403_346, 10, 2208, 11_938, 155, 4, 976, 14,
    39_979_771, 25_641_295, 39_664_984, 585_935, 12_972, 108, 36,
]  # fmt: skip


@dataclass(frozen=True)
class Workload:
    tables: list[int]
    dim: int
    bottom: list[int]  # with the width of the dense inputs before, and `dim` last
    top: list[int]  # without the width of its input
    ids: int  # of each table and row
    exponent: float  # ids are drawn with density x^-exponent; 0 is uniform

    @property
    def pairs(self):
        return (len(self.tables) + 1) * len(self.tables) // 2

    def draw(self, rng, rows):
        """Dense inputs [B, n], ids [T, B · ids] and labels [B]."""
        size = rows * self.ids
        ids = np.stack([self.draw_ids(rng, table, size) for table in self.tables])
        return rng.standard_normal((rows, self.bottom[0]), dtype=np.float32), ids, (rng.random(rows) < 0.25).astype(np.float32)

    def draw_ids(self, rng, table, size):
        if self.exponent == 0:
            return rng.integers(0, table, size)
        e = 1 - self.exponent
        x = (1 + rng.random(size) * ((table + 1) ** e - 1)) ** (1 / e)
        return np.clip(x.astype(np.int64), 1, table) - 1

    def batches(self, rows):
        rng = np.random.default_rng(0)
        return [self.draw(rng, rows) for _ in range(BATCHES)]


WORKLOADS = {
    # Criteo Kaggle, with the model of section 5.1 of the DLRM paper.
    "k": Workload(KAGGLE, 16, [13, 512, 256, 64, 16], [512, 256, 1], 1, 1.05),
    # Section 5.2 of the DLRM paper.
    "p": Workload([1_000_000] * 8, 64, [512, 512, 64], [1024, 1024, 1024, 1], 100, 0),
    # A wide bottom tower.
    "w": Workload([2_000_000] * 10, 32, [2560, 1024, 256, 32], [512, 256, 1], 20, 1.05),
    # Many ids of wide vectors.
    "m": Workload([min(rows, 1_000_000) for rows in KAGGLE], 64, [13, 512, 256, 64, 64], [512, 256, 1], 10, 1.05),
    # The model of MLPerf with tables of 8 GB.
    "t": Workload([min(rows, 2_400_000) for rows in TERABYTE], 128, [13, 512, 256, 128], [1024, 1024, 512, 256, 1], 1, 1.05),
}
