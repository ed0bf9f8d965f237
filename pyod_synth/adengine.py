"""What PyOD's ADEngine is told of the detectors: their descriptions, and when planning is to think of them.

PyOD has no way for other packages to register detectors. An engine learns of one by an entry in its knowledge base,
with the same keys as PyOD's own, and plans with it by a routing rule; :func:`register` adds both.
"""

from collections.abc import MutableMapping
from copy import deepcopy

_SECONDS = "A fit takes seconds, where KNN, IForest and ECOD take a tenth of a second or less"
_IMAGES = "Images are taken as arrays only, not as file paths, and were not measured against pretrained encoders"
_PLAIN_TIME = "O(steps * batch * d * h), with steps about max(300, n / batch) by default"


def _entry(name, full_name, paper_id, paper, complexity, strengths, weaknesses, best_for, avoid_when):
    """Describe a detector with the keys of PyOD's knowledge base."""
    return {
        "class_path": f"pyod_synth.{name}",
        "full_name": full_name,
        "status": "shipped",
        "data_types": ["tabular", "image"],
        "category": "deep_learning",
        "complexity": complexity,
        "strengths": strengths,
        "weaknesses": weaknesses,
        "best_for": best_for,
        "avoid_when": avoid_when,
        "benchmark_refs": [],  # PyOD's benchmarks are others' publications, and did not have these detectors
        "benchmark_rank": {},
        "paper": {"id": paper_id, "short": paper},
        "default_params": {"contamination": 0.1},
        "preprocessing_mode": "internal",
        "requires": ["torch", "pyod_synth"],
        "version_added": "pyod_synth 0.1.0",
    }


# What is said of measurements holds for the means over the tables of benchmarks/results/adbench; the tests see to it.
_ENTRIES = {
    "PLAD": _entry(
        "PLAD",
        "Perturbation Learning based Anomaly Detection",
        "cai2022plad",
        "Cai and Fan, NeurIPS 2022",
        {
            "time": "O(steps * batch^2 * d + n * m * d), with steps about max(300, n / batch) by default and "
            "m = min(n, 4096) remembered rows",
            "space": "O(m * d + d * h)",
        },
        [
            "On ADBench's tables its AUROC is level with KNN's where training rows are normal, and with IForest's "
            "where anomalies are left in, so that one detector serves both",
            "Its score grows with the distance from the training rows",
            "perturb(X) shows the anomalies that it invents from rows, in their units",
        ],
        [
            _SECONDS,
            "On tables its quality is that of the training rows it remembers: what it learns from perturbations adds "
            "nothing measurable to them",
            "Its defaults were chosen on the tables that it was measured on",
            _IMAGES,
        ],
        "Tables of which it is not known whether the training rows are clean, where seconds may be spent",
        "Time matters more than accuracy, or KNN on rows known to be normal is good enough",
    ),
    "DHAG": _entry(
        "DHAG",
        "Diversified and Hard-to-distinguish Anomaly Generation",
        "kim2024dhag",
        "Kim and Lee, CIKM 2024",
        {
            "time": "O(steps * batch * d * (h + L * f * h)), with L perturbators of f filters and steps about max(300, "
            "n / batch) by default",
            "space": "O(d * h + L * d * f * h)",
        },
        [
            "On ADBench's tables its AUROC is above those of OCSVM, IForest and ECOD where training rows are normal",
            "Invents anomalies in several learned directions, beginning right beside the normal rows",
            "Can also learn from known anomalies with use_labels=True, outside the engine, which hands it no labels",
        ],
        [
            "On ADBench's tables its AUROC is below IForest's where anomalies are left in the training rows, and below "
            "KNN's where they are normal",
            _SECONDS,
            "Has more parameters to set than most",
            _IMAGES,
        ],
        "Training rows that are known to be normal",
        "Anomalies are hidden among the training rows, or time matters",
    ),
    "AnoRand": _entry(
        "AnoRand",
        "AnoRand: Anomaly Detection by Random Labelling",
        "zoubeirou2023anorand",
        "Zoubeirou a Mayaki and Riveill, 2023",
        {"time": _PLAIN_TIME, "space": "O(n * d + d * h)"},
        [
            "On ADBench's tables with anomalies left in the training rows, its AUROC is above those of KNN, LOF, "
            "OCSVM, IForest and ECOD",
            "On ADBench's tables with normal training rows, its AUROC is above those of LOF, OCSVM, IForest and ECOD",
            "Can also learn from labels with use_labels=True, outside the engine, which hands it no labels",
        ],
        [
            "Its AUPRC is not above IForest's where anomalies are left in the training rows, nor is its AUROC above "
            "KNN's where they are normal",
            _SECONDS,
            "Its invented anomalies are noisy copies of rows, whatever the real ones are like",
            _IMAGES,
        ],
        "Ranking rows of a table whose training rows may hold anomalies",
        "Only the few highest scores matter, or time does",
    ),
    "NoveltyNormalization": _entry(
        "NoveltyNormalization",
        "One-Class Anomaly Detection via Novelty Normalization",
        "wu2021novelty",
        "Wu et al., CVIU 2021",
        {"time": _PLAIN_TIME, "space": "O(d * h)"},
        [
            "On ADBench's tables its AUROC is above those of OCSVM, IForest and ECOD where training rows are normal",
            "Joins what an autoencoder cannot restore with a novelty read from its latent vector",
            "Its scores are scaled by the least and the largest of training batches: a row above 1 is odder than those",
        ],
        [
            "On ADBench's tables its AUROC is below KNN's where training rows are normal, and below IForest's where "
            "anomalies are left in",
            _SECONDS,
            _IMAGES,
        ],
        "Training rows that are known to be normal, where scores on a scale of their own help",
        "Anomalies are hidden among the training rows, or time matters",
    ),
    "NCAE": _entry(
        "NCAE",
        "Normality-Calibrated Autoencoder",
        "yu2021ncae",
        "Yu et al., 2021",
        {"time": _PLAIN_TIME, "space": "O(d * h)"},
        [
            "Made for anomalies among the training rows: on ADBench's tables with them left in, its AUPRC is above "
            "those of KNN, LOF, OCSVM, IForest and ECOD",
            "On ADBench's tables with normal training rows, its AUROC is above those of OCSVM, IForest and ECOD",
            "Can show the rows that it takes for normal with high confidence",
        ],
        [
            "On ADBench's tables its AUROC is below KNN's where training rows are normal, and no more than level with "
            "IForest's where anomalies are left in",
            _SECONDS,
            _IMAGES,
        ],
        "Tables whose training rows hold anomalies, which are to stand at the very top",
        "Training rows are known to be normal, or time matters",
    ),
}


def _rule(suffix, conditions, confidences, reason):
    """Write a routing rule; confidences are by detector, conditions (field, operator, value)."""
    return {
        "id": f"pyod_synth_{suffix}",
        "conditions": [dict(zip(("field", "op", "value"), condition, strict=True)) for condition in conditions],
        "recommendations": [
            {"detector": name, "params": {}, "confidence": confidence} for name, confidence in confidences.items()
        ],
        "reason": reason,
        "evidence": ["pyod_synth benchmark"],
    }


# PyOD's own rules begin at 0.75 for tables and have 0.85 or more for the first choice.
_BEHIND_ALL, _BEHIND_FIRST = 0.7, 0.84
_RULES = [
    _rule(
        "tabular",
        [("data_type", "eq", "tabular"), ("priority", "in", ["balanced", "accuracy"])],
        dict.fromkeys(["PLAD", "AnoRand", "NCAE", "NoveltyNormalization", "DHAG"], _BEHIND_ALL),
        "Tabular, and seconds may be spent: deep detectors that invent anomalies",
    ),
    _rule(
        "tabular_accurate",
        [("data_type", "eq", "tabular"), ("priority", "eq", "accuracy")],
        {"PLAD": _BEHIND_FIRST},
        "Tabular + accuracy: on ADBench's tables level with KNN where training rows are normal, and with IForest where "
        "anomalies are left in, but seconds to fit",
    ),
    _rule(
        "image_arrays",
        [("data_type", "eq", "image"), ("n_channels", "gte", 1)],
        dict.fromkeys(["PLAD", "AnoRand", "NCAE", "NoveltyNormalization", "DHAG"], _BEHIND_ALL),
        "Images as arrays (n, channels, height, width): detectors that learn from the pixels and need no pretrained "
        "encoder",
    ),
]


def register(engine):
    """Make the package's detectors known to an ADEngine of PyOD.

    Afterwards the engine lists, explains, compares, builds and runs them, and plans with them:

    - For tables they stand behind PyOD's own choices, and not at all with ``priority="speed"``; ``top_k`` or
      ``exclude_detectors`` reaches them. With ``priority="accuracy"`` PLAD is among the alternatives to the first
      choice.
    - For images they are planned with if the profile says by ``n_channels`` that these are arrays, for instance
      ``engine.profile_data(X, data_type="image") | {"n_channels": X.shape[1]}``. PyOD profiles file paths alike, and
      no plan for those should hold a detector that cannot read them.

    Nothing but this engine changes, and nothing that it already knows: an entry of the same name stays as it is.
    Registering again is harmless.

    Parameters
    ----------
    engine : pyod.utils.ad_engine.ADEngine

    Returns
    -------
    pyod.utils.ad_engine.ADEngine
        The same engine.

    Raises
    ------
    TypeError
        If the engine has no knowledge base to add to.

    Examples
    --------
    >>> from pyod.utils.ad_engine import ADEngine
    >>> from pyod_synth import register
    >>> engine = register(ADEngine())
    >>> engine.explain_detector("PLAD")["paper"]["short"]
    'Cai and Fan, NeurIPS 2022'
    """
    knowledge = getattr(engine, "kb", None)
    algorithms = getattr(knowledge, "algorithms", None)
    routing = getattr(knowledge, "routing_rules", None)
    if not isinstance(algorithms, MutableMapping) or not isinstance(routing, MutableMapping):
        raise TypeError(
            "engine must be a pyod.utils.ad_engine.ADEngine, with the dictionaries kb.algorithms and kb.routing_rules, "
            f"got {engine!r}"
        )
    for name, entry in _ENTRIES.items():
        algorithms.setdefault(name, deepcopy(entry))
    rules = routing.setdefault("rules", [])
    known = {rule.get("id") for rule in rules}
    rules.extend(deepcopy(rule) for rule in _RULES if rule["id"] not in known)
    return engine
