"""ALI-G for tf.compat.v1: the published vectors, parity with PyTorch, guards and errors."""

import math
import sys
from types import ModuleType

import pytest

from alig_deepobs.errors import UsageError

INSTALL = 'pip install "alig-deepobs[tensorflow]"'

# Problem Q: loss before, the three weights after, and the step size of each step. The first four
# are of the authors' TensorFlow code (which rounds momentum and cap to float32), the others of
# their PyTorch code in float64.
TF1 = {
    "none 0.0": [
        [3, 0.826087057340836, -0.304348229363345, 1.91304352867042, 0.173912942659164],
        [0.983932545409699, 0.486453534105488, 0.196164933313962, 1.71641361298199, 0.411135267424],
        [0.563539343899738, 0.221963175384872, -0.23046355177678, 1.48310517734417, 0.543711454799],
    ],
    "none 0.9": [
        [3, 0.669565413093997, 0.321738347624013, 1.834782706547, 0.173912942659164],
        [0.851993497400019, -0.0967478929834255, 0.61424842287088, 1.36497783010007, 0.36803515119],
        [
            0.992177886980182,
            -0.271838577663951,
            0.164301389031064,
            1.14208961635126,
            0.160998945502,
        ],
    ],
    "0.2 0.0": [
        [3, 0.826087057340836, -0.304348229363345, 1.91304352867042, 0.173912942659164],
        [0.983932545409699, 0.660869645872669, -0.060869645872669, 1.8173913522369, 0.2],
        [0.638648487893444, 0.528695716698135, -0.0121739291745338, 1.72652178462505, 0.2],
    ],
    "0.2 0.9": [
        [3, 0.669565413093997, 0.321738347624013, 1.834782706547, 0.173912942659164],
        [0.851993497400019, 0.253130567894083, 0.48069603103991, 1.5794783559038, 0.2],
        [0.806018875312306, -0.0973286262858067, 0.124751588464874, 1.28221922409126, 0.2],
    ],
}
TORCH = {
    "0.2 standard": [
        [3, 0.669565408947589, 0.321738364209644, 1.83478270447379, 0.173912942659164],
        [0.851993515017692, 0.274261069993583, 0.396173984826675, 1.59004360577182, 0.2],
        [0.667547053295888, -0.0652102680520186, 0.0926332086764007, 1.30128949609305, 0.2],
    ],
    "0.2 eps0": [
        [3, 0.826086956521739, -0.304347826086957, 1.91304347826087, 0.173913043478261],
        [0.983931947069943, 0.660869565217391, -0.0608695652173913, 1.81739130434783, 0.2],
        [0.638648393194707, 0.528695652173913, -0.0121739130434782, 1.72652173913043, 0.2],
    ],
    # |w0| = 2.449, so the construction-time projection makes the first loss 3 * 4 / 6.
    "0.2 ball": [
        [2, 0.674497299026628, -0.248499453323332, 1.5619935209049, 0.173912892249659],
        [0.65595522971971, 0.539597839221302, -0.0496998906646664, 1.48389384485966, 0.2],
        [0.425765690161856, 0.431678271377042, -0.00993997813293327, 1.40969915261667, 0.2],
    ],
    "0.2 standard ball": [
        [2, 0.546697945315639, 0.262697961520623, 1.49809384404941, 0.173912892249659],
        [0.567995405377694, 0.223933307755806, 0.323474733368835, 1.29826521969477, 0.2],
        [0.445031442000945, -0.0532438928384345, 0.0756347656064454, 1.06249848488682, 0.2],
    ],
}
TORCH["refs"] = TORCH["0.2 standard ball"]  # the variables of TensorFlow 1

# Problem P: the weights after each step.
FED = {
    "plain": [
        [0.826087057340836, -0.304348229363345, 1.91304352867042],
        [0.824505467051801, -0.300394253640756, 1.87350377144453],
        [0.884505467051801, -0.302394253640756, 1.92350377144453],
    ],
    "standard": [
        [0.669565408947589, 0.321738364209644, 1.83478270447379],
        [0.525690903844499, 0.892728852298253, 1.68922242396764],
        [0.51162728051185, 1.39926171342767, 1.6888039530154],
    ],
    "adjusted": [
        [0.669565408947589, 0.321738364209644, 1.83478270447379],
        [0.602505980692479, 0.585468544906334, 1.72762996239163],
        [0.567465980692479, 1.17296854490633, 1.66872996239163],
    ],
    "vanishing standard": [
        [0.669565408947589, 0.321738364209644, 1.8347827044737945],
        [0.5286959253936664, 0.8852162984253343, 1.7643479626968332],
        [0.40191339019513606, 1.3923464392194558, 1.700956695097568],
    ],
    "vanishing adjusted": [[0.669565408947589, 0.321738364209644, 1.8347827044737945]] * 3,
}
# What the odd second step does: its step size, and which guard counts it.
GUARDED = {
    "nan loss": [0, 0, 1],
    "inf loss": [0, 0, 1],
    "nan gradient": [0, 0, 1],
    "inf gradient": [0, 0, 1],
    "negative loss": [0, 1, 0],
    "zero over zero": [0, 1, 0],
    "infinite quotient": [1, 0, 0],
}


@pytest.fixture(scope="module")
def of(worker):
    answers = worker("alig_worker")

    def find(scenario):
        found = answers[scenario]
        assert not isinstance(found, dict) or "error" not in found, found["error"]
        return found

    return find


@pytest.mark.parametrize("name", TF1)
def test_vectors_of_the_authors_tensorflow_code(name, of):
    for found, expected in zip(of("vectors")[name], TF1[name], strict=True):
        assert found == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("name", TORCH)
def test_vectors_of_the_authors_pytorch_code(name, of):
    for found, expected in zip(of("vectors")[name], TORCH[name], strict=True):
        assert found == pytest.approx(expected, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("name", FED)
def test_vectors_with_prescribed_gradients(name, of):
    for found, expected in zip(of("fed")[name], FED[name], strict=True):
        assert found == pytest.approx(expected, rel=1e-10)


def test_same_weights_as_pytorch_after_each_of_20_steps(of):
    differences = of("parity")
    assert len(differences) == 3 * 2 * 2
    for setting, difference in differences.items():
        assert difference < 1e-6, setting


@pytest.mark.parametrize("name", GUARDED)
def test_guards(name, of):
    found = of("fed")[name]
    assert found["guards"] == GUARDED[name]
    assert found["sizes"][1] == 0.0
    first, second, third = found["weights"]
    # A step that makes no sense leaves everything as it was; else the momentum goes on.
    assert (first == second) == (GUARDED[name][2] == 1)
    assert all(abs(weight) < 10 for weight in third)


def test_skipped_step_leaves_the_momentum_alone(of):
    found = of("skipped")
    assert len(found) == 2 * 2 * 2
    for name, (three, two) in found.items():
        assert three[1:] == two, name
        assert two[0] != two[1], name


def test_initial_weights_are_projected_before_the_first_loss(of):
    for norm in of("initial_projection").values():
        assert norm == pytest.approx(5.0, rel=1e-6)


def test_sparse_gradient_is_that_of_the_whole_table(of):
    rows = of("sparse")
    for found, expected in zip(rows["sparse"], rows["dense"], strict=True):
        assert found == pytest.approx(expected, rel=1e-12)


def test_half_precision(of):
    found = of("half_precision")
    assert found["size"] == pytest.approx(0.5)
    assert found["w"] == [15.0, 20.0]  # 300 (1 - 0.5 - 0.9 * 0.5)
    assert found["slot"] == "float16"


def test_edges(of):
    found = of("edges")
    assert found["3e19"] == pytest.approx([1.0, 0.0], abs=1e-6)
    assert found["far"] == pytest.approx([1e25, -1e-5], rel=1e-5)
    assert found["inf"] == [math.inf, -1.0]
    assert found["long step"] == [[1.0, -2.0], [4, 0, 0]]
    assert found["velocity"] == [[1.0, -2.0], [0, 0, 0]]


def test_variable_without_gradient_is_left_out(of):
    expected = [0.664706079584659, 0.3411756816613636, 2.0]
    assert of("missing_gradient") == pytest.approx(expected, rel=1e-12)


def test_cap_may_be_a_variable(of):
    high, low, negative, none = of("caps")
    assert (high, low, negative) == (pytest.approx(0.01), pytest.approx(0.001), 0.0)
    assert none > 0.1


def test_loss_is_known_or_asked_for(of):
    found = of("knows_the_loss")
    for case in ("none", "forgotten afterwards", "two losses"):
        assert found[case].startswith("ValueError: ")
        assert "`loss`" in found[case]
        assert "apply_gradients(pairs, loss=loss)" in found[case]
    assert "of several losses" in found["two losses"]
    assert found["vector"].startswith("ValueError: the loss must be one number")
    assert found["grad_loss"].startswith("ValueError: grad_loss must be None")
    assert found["no gradient"].startswith("ValueError: No gradients")
    assert found["one optimizer, two parts"] == ["no error"] * 2


def test_bad_arguments(of):
    for name, messages in of("bad_arguments").items():
        for message in messages:
            assert message.startswith(f"ValueError: {name} must be"), message


def test_eager_execution(of):
    for weights in of("eager").values():
        assert weights == pytest.approx(TORCH["0.2 standard ball"][2][1:4], rel=1e-10)


@pytest.mark.parametrize("module", ["alig", "keras", "tf_keras"])
@pytest.mark.parametrize("broken", [False, True])
def test_without_tensorflow(module, broken, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for name in [name for name in sys.modules if name.startswith("alig_deepobs.tensorflow.")]:
        if not name.endswith((".compat", "._install")):
            monkeypatch.delitem(sys.modules, name)
    if broken:

        def fail(name):
            raise ImportError("undefined symbol")

        monkeypatch.setattr("alig_deepobs.tensorflow._install.importlib.import_module", fail)
        expected = f"tensorflow cannot be imported (undefined symbol): {INSTALL}"
    else:
        expected = f"tensorflow is not installed: {INSTALL}"
    with pytest.raises(UsageError) as raised:
        __import__(f"alig_deepobs.tensorflow.{module}")
    assert str(raised.value) == expected


def test_package_has_the_class_lazily(monkeypatch):
    import alig_deepobs.tensorflow as half

    monkeypatch.setitem(sys.modules, "alig_deepobs.tensorflow.alig", ModuleType("stand-in"))
    sys.modules["alig_deepobs.tensorflow.alig"].AliG = "the class"
    assert half.AliG == "the class"
    with pytest.raises(AttributeError, match="no attribute 'Adam'"):
        _ = half.Adam
