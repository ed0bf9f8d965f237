"""What PyOD's ADEngine is told of the detectors: their descriptions, and when planning is to think of them.

PyOD has no way for other packages to register detectors. An engine learns of one by an entry in its knowledge base,
with the same keys as PyOD's own, and plans with it by a routing rule; :func:`register` adds both.
"""

from collections.abc import MutableMapping
from copy import deepcopy
from typing import Any

_IMAGES = "Images are taken as arrays only, not as file paths, and were not measured against pretrained encoders"
_SECONDS = "A fit takes seconds to minutes, where KNN, IForest and ECOD take a tenth of a second or less"
_BELOW = (
    "As published, its AUROC on ADBench's tables is below those of KNN and IForest, whether training rows are normal"
)
_BELOW += " or have anomalies among them"
_FAR = "Its classifier learns nothing of rows far from the training rows, and often calls them normal"


def _entry(
    name: str,
    full_name: str,
    paper: dict[str, str],
    complexity: dict[str, str],
    *,
    category: str = "deep_learning",
    strengths: list[str],
    weaknesses: list[str],
    best_for: str,
    avoid_when: str,
) -> dict[str, Any]:
    """Describe a detector with the keys of PyOD's knowledge base."""
    return {
        "class_path": f"pyod_synth.{name}",
        "full_name": full_name,
        "status": "shipped",
        "data_types": ["tabular", "image"],
        "category": category,
        "complexity": complexity,
        "strengths": strengths,
        "weaknesses": weaknesses,
        "best_for": best_for,
        "avoid_when": avoid_when,
        "benchmark_refs": [],  # PyOD's benchmarks are others' publications, and did not have these detectors
        "benchmark_rank": {},
        "paper": paper,
        "default_params": {"contamination": 0.1},
        "preprocessing_mode": "internal",
        "requires": ["torch", "pyod_synth"],
        "version_added": "pyod_synth 0.1.0",
    }


_STEPS = {
    "time": "O(steps * batch * d * h), with steps about max(300, n / batch) by default and layers of h units",
    "space": "O(d * h)",
}
_TRAINED = {"time": "O(epochs * n * d * h), with hidden layers of h units", "space": "O(d * h)"}
# What is said of measurements holds for the means over the tables of benchmarks/results/adbench; the tests see to it.
_ENTRIES = {
    "GatedKNN": _entry(
        "GatedKNN",
        "Gated KNN: nearest neighbours in views weighed or chosen by how they tell invented anomalies",
        {"id": "pyod_synth", "short": "pyod_synth, 2026; no paper"},
        {"time": "O(n * m * d), with m = min(n, 10000) remembered rows", "space": "O(m * d)"},
        category="proximity",
        strengths=[
            "On ADBench's tables its AUROC is above KNN's where training rows are normal, and above IForest's where "
            "anomalies are left in, so that one default serves both",
            "contaminated=False and contaminated=True say what is known of the training rows, and are better where "
            "it is true",
            "Learns from a few known anomalies with use_labels=True, outside the engine, which hands it no labels",
            "explain(X) says which features make a row anomalous, and nearest_normal(X) what would make it normal",
        ],
        weaknesses=[
            "Compares each row with all remembered ones in several views, which takes seconds for a million rows",
            "Its defaults were chosen on the tables that it was measured on",
            _IMAGES,
        ],
        best_for="Tables of which it is not known whether the training rows are clean",
        avoid_when="A fraction of a second is too long for a fit",
    ),
    "PLAD": _entry(
        "PLAD",
        "Perturbation Learning based Anomaly Detection",
        {"id": "cai2022plad", "short": "Cai and Fan, NeurIPS 2022"},
        _TRAINED,
        strengths=["invent(X) shows the anomalies that it invents from rows, in their units"],
        weaknesses=[_BELOW, _FAR, _SECONDS, _IMAGES],
        best_for="Comparing with the paper",
        avoid_when="One default has to serve data that nobody has looked at",
    ),
    "DHAG": _entry(
        "DHAG",
        "Diversified and Hard-to-distinguish Anomaly Generation",
        {"id": "kim2024dhag", "short": "Kim and Lee, CIKM 2024"},
        {
            "time": "O(epochs * n * d * (h + L * f * h)), with L perturbators of f filters and layers of h units",
            "space": "O(d * h + L * d * f * h)",
        },
        strengths=[
            "Invents anomalies in several learned directions, beginning right beside the normal rows",
            "Can also learn from known anomalies with use_labels=True, outside the engine, which hands it no labels",
        ],
        weaknesses=[_BELOW, _FAR, _SECONDS, "Has more parameters to set than most", _IMAGES],
        best_for="Comparing with the paper, or learning from known anomalies",
        avoid_when="One default has to serve data that nobody has looked at",
    ),
    "AnoRand": _entry(
        "AnoRand",
        "AnoRand: Anomaly Detection by Random Labelling",
        {"id": "zoubeirou2023anorand", "short": "Zoubeirou a Mayaki and Riveill, 2023"},
        {"time": _TRAINED["time"], "space": "O(n * d + d * h)"},
        strengths=["Can also learn from labels with use_labels=True, outside the engine, which hands it no labels"],
        weaknesses=[
            _BELOW,
            _FAR,
            "Its invented anomalies are noisy copies of rows, whatever the real ones are like",
            _SECONDS,
            _IMAGES,
        ],
        best_for="Comparing with the paper, or learning from labels",
        avoid_when="One default has to serve data that nobody has looked at",
    ),
    "NoveltyNormalization": _entry(
        "NoveltyNormalization",
        "One-Class Anomaly Detection via Novelty Normalization",
        {"id": "wu2021novelty", "short": "Wu et al., CVIU 2021"},
        _TRAINED,
        strengths=[
            "On ADBench's tables its AUROC is above those of OCSVM, IForest and ECOD where training rows are normal",
            "Joins what an autoencoder cannot restore with a novelty read from its latent vector",
            "Its scores are scaled by the least and the largest of training batches",
        ],
        weaknesses=[
            "On ADBench's tables its AUROC is below KNN's where training rows are normal, and below IForest's where "
            "anomalies are left in",
            _SECONDS,
            _IMAGES,
        ],
        best_for="Training rows that are known to be normal, where scores on a scale of their own help",
        avoid_when="Anomalies are hidden among the training rows, or time matters",
    ),
    "NCAE": _entry(
        "NCAE",
        "Normality-Calibrated Autoencoder",
        {"id": "yu2021ncae", "short": "Yu et al., 2021"},
        _TRAINED,
        strengths=["Generates the rows that it takes for normal with high confidence: generate(number)"],
        weaknesses=[
            "On ADBench's tables its AUROC is below those of KNN and IForest where training rows are normal, and below "
            "IForest's where they are not",
            _SECONDS,
            _IMAGES,
        ],
        best_for="Comparing with the paper",
        avoid_when="One default has to serve data that nobody has looked at",
    ),
}


def _rule(
    suffix: str, conditions: list[tuple[str, str, Any]], confidences: dict[str, float], reason: str
) -> dict[str, Any]:
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
        dict.fromkeys(_ENTRIES, _BEHIND_ALL),
        "Tabular, and seconds may be spent: detectors that remember training rows, or invent anomalies",
    ),
    _rule(
        "tabular_accurate",
        [("data_type", "eq", "tabular"), ("priority", "eq", "accuracy")],
        {"GatedKNN": _BEHIND_FIRST},
        "Tabular + accuracy: on ADBench's tables above KNN where training rows are normal, and above IForest where "
        "anomalies are left in",
    ),
    _rule(
        "image_arrays",
        [("data_type", "eq", "image"), ("n_channels", "gte", 1)],
        dict.fromkeys(_ENTRIES, _BEHIND_ALL),
        "Images as arrays (n, channels, height, width): detectors that learn from the pixels and need no pretrained "
        "encoder",
    ),
]


def register(engine: Any) -> Any:
    """Make the package's detectors known to an ADEngine of PyOD.

    Afterwards the engine lists, explains, compares, builds and runs them, and plans with them:

    - For tables they stand behind PyOD's own choices, and not at all with ``priority="speed"``; ``top_k`` or
      ``exclude_detectors`` reaches them. With ``priority="accuracy"`` GatedKNN is among the alternatives to the
      first choice.
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
