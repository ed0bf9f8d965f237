"""Made-up records."""


def record(dataset, detector, seed, auroc, status="ok", protocol="one-class", reason="", **more):
    cell = {"dataset": dataset, "protocol": protocol, "detector": detector, "seed": seed, "status": status}
    made = cell | {"reason": reason, "versions": {"x": "1"}}
    if status == "ok":
        made |= {"auroc": auroc, "auprc": auroc / 2, "f1": auroc / 4, "fit_seconds": 1.0, "score_seconds": 0.5}
    return made | more


def table(figures, protocol="one-class"):
    """Records of a data set x detector table whose entries are the figures of seeds 0, 1, ..."""
    return [
        record(dataset, detector, seed, value, protocol=protocol)
        for dataset, row in figures.items()
        for detector, values in row.items()
        for seed, value in enumerate(values)
    ]
