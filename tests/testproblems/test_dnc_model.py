"""The differentiable neural computer: published numbers, its start, tracing and batching."""

import math

import pytest
import torch

from alig_deepobs.testproblems.models.dnc import DNC, fill_dnc

# Official code in double precision: outputs, the state after five steps, norms of gradients. The
# parameters are sines (below), in the order in which the official code creates them.
VECTORS = {
    1: {
        "outputs": [
            [-0.155500478326167, -0.307080322271858, 0.234631695988615],
            [-0.10880628738952, -0.21192732582311, 0.163417625635682],
            [-0.060226761391619, -0.162565231474819, 0.102118031470435],
            [-0.017416938417449, -0.147902680658595, 0.055529830606268],
            [0.012650591180303, -0.151261959250321, 0.026327950111213],
        ],
        "words": [-0.019347584319418, -0.005444069002214, 0.020686349412916,
                  -0.027417951236142, -0.007734822924876, 0.029319931225844],
        "memory": [
            [-0.124892718771843, -0.028854303758029, 0.132012344424435],
            [-0.097503948890057, -0.033259914176627, 0.105614929091341],
            [-0.084782312172789, -0.028036449570262, 0.091717098824167],
            [-0.106264713945394, -0.026449364195942, 0.112772019304239],
        ],
        "read_weights": [
            [0.047352976419982, 0.046104763914604, 0.04608842327551, 0.047340857859541],
            [0.065876134812295, 0.06682764811381, 0.065852859755032, 0.066733199522324],
        ],
        "write_weights": [
            [0.096449353233324, 0.209371606393596, 0.087934085578472, 0.126090245074715]
        ],
        "usage": [0.367313602214651, 0.359368515693235, 0.372290906780869, 0.359456900477357],
        "precedence": [
            [0.188912568176518, 0.319913163910498, 0.239257222132893, 0.219038139949244]
        ],
        "link": [[
            [0.0, 0.051108715981092, 0.050298456742305, 0.053599050468359],
            [0.08650887048436, 0.0, 0.089955453603167, 0.095590946578494],
            [0.071552703447497, 0.078621016693724, 0.0, 0.0760195632889],
            [0.081440956507943, 0.057147709714506, 0.061840549103915, 0.0],
        ]],
        "h": [-0.422320063321808, 0.03547174240957, 0.269182169925423, -0.264564258413429,
              -0.326638525048621],
        "c": [-1.142796617944693, 0.100316970830325, 0.572386520800354, -0.439409453338372,
              -0.946336222755179],
        "loss": 0.3464663789542711,
        "gradient": 2.7194927528029136,
        "gradients": {
            "controller.gates": 0.658270833423,
            "access.heads.free_gates": 8.28394565491e-07,
            "access.heads.allocation_gates": 5.84167858056e-05,
            "access.heads.read_modes": 0.0214284028211,
            "access.heads.write_keys": 4.70438867055e-08,
            "access.heads.read_strengths": 1.45022964348e-05,
        },
    },
    2: {
        "outputs": [
            [-0.156029855160567, -0.290915042142579, 0.23099545813621],
            [-0.108117198833658, -0.18395383261387, 0.155520075907373],
            [-0.055928354746437, -0.12496071939004, 0.088129356139667],
            [-0.007422453700247, -0.103258116064276, 0.034030933192668],
            [0.028945265295341, -0.102109985526411, -0.002632646399992],
        ],
        "words": [-0.106345978753541, -0.069364304422538, 0.122262164009727,
                  -0.055591881794458, -0.036264010681063, 0.06391257015109],
        "memory": [
            [-0.433613419095891, -0.145791889374397, 0.47070797443089],
            [-0.389527503827775, -0.253687641006466, 0.442284980211263],
            [-0.333780883218495, -0.300633761226392, 0.401934485565975],
            [-0.328821527326725, -0.28639716267246, 0.397026591147508],
        ],
        "read_weights": [
            [0.076726542467539, 0.07182391125837, 0.0682725058405, 0.067851014358967],
            [0.040053456033717, 0.037633184607436, 0.035575531989762, 0.035552942419493],
        ],
        "write_weights": [
            [0.132816314105404, 0.102124376217766, 0.075535203737031, 0.085913959069929],
            [0.113316061610573, 0.184607716446775, 0.112744851953659, 0.149753274218134],
        ],
        "usage": [0.565145917836422, 0.572632935456973, 0.608144272799992, 0.588295952685073],
        "precedence": [
            [0.324190990591815, 0.229769001143623, 0.177727729984819, 0.197772145431769],
            [0.182251781968268, 0.288008404977972, 0.258704859296613, 0.257019564628229],
        ],
        "link": [
            [
                [0.0, 0.08366384047744, 0.05261323339404, 0.051066847928841],
                [0.081720313239899, 0.0, 0.039994603881742, 0.039431683022486],
                [0.060931715709664, 0.049366236622719, 0.0, 0.031087304048673],
                [0.066612440781268, 0.053932317375723, 0.035285542113812, 0.0],
            ],
            [
                [0.0, 0.055926970814568, 0.0785403448974, 0.06612344922973],
                [0.058570958002649, 0.0, 0.121398666167066, 0.097932269741814],
                [0.061034884869072, 0.086100681906799, 0.0, 0.108520236361172],
                [0.051106283788819, 0.075050167078909, 0.101882586355684, 0.0],
            ],
        ],
        "h": [-0.406471932026726, 0.043951768505361, 0.26904230098473, -0.273726060675448,
              -0.31086328034255],
        "c": [-1.103286756472496, 0.122435582868083, 0.559801824858723, -0.463626537871058,
              -0.894353408151663],
        "loss": 0.2817072041420479,
        "gradient": 2.2785545654018122,
        "gradients": {
            "controller.gates": 0.590270454326,
            "access.heads.free_gates": 2.62294817071e-05,
            "access.heads.allocation_gates": 0.000340295869858,
            "access.heads.read_modes": 0.0381503484175,
            "access.heads.write_keys": 2.07743768592e-05,
            "access.heads.read_strengths": 0.000627741504338,
        },
    },
}  # fmt: skip


def paper_net(seed=0):
    return fill_dnc(DNC(6, 5), torch.Generator().manual_seed(seed))


@torch.no_grad()
def small_net(write_heads):
    net = DNC(4, 3, 5, memory_slots=4, word_size=3, read_heads=2, write_heads=write_heads).double()
    for number, parameter in enumerate(net.parameters()):
        k = torch.arange(parameter.numel(), dtype=torch.float64)
        parameter.copy_((0.5 * torch.sin(1.7 * (k + 1) + 0.9 * number)).view(parameter.shape))
    return net


def small_inputs():
    steps, channels = torch.arange(5.0).double(), torch.arange(4.0).double()
    return torch.cos(0.6 * steps.unsqueeze(1) + 1.1 * channels).unsqueeze(0)


def batch(size=3, steps=9, seed=1):
    return torch.rand(size, steps, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("write_heads", [1, 2])
def test_outputs_states_and_gradients_of_the_official_code(write_heads):
    expected, net = VECTORS[write_heads], small_net(write_heads)
    outputs, state = net.unroll(small_inputs(), net.initial_state(1))

    def check(found, name):
        target = torch.tensor([expected[name]], dtype=torch.float64)
        torch.testing.assert_close(found, target, rtol=0, atol=1e-13)

    check(outputs, "outputs")
    check(state.words, "words")
    check(state.controller.h, "h")
    check(state.controller.c, "c")
    names = ("memory", "read_weights", "write_weights", "usage", "precedence", "link")
    for name in names:
        check(getattr(state.access, name), name)
    loss = outputs.square().sum()
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-13)
    loss.backward()
    squares = [p.grad.square().sum().item() for p in net.parameters()]
    assert math.sqrt(sum(squares)) == pytest.approx(expected["gradient"], rel=1e-12)
    for name, norm in expected["gradients"].items():
        found = net.get_parameter(f"{name}.weight").grad.norm().item()
        assert found == pytest.approx(norm, rel=2e-11)


def test_parameters_in_the_order_of_the_official_code():
    shapes = [tuple(p.shape) for p in paper_net().parameters()]
    outputs = (16, 16, 4, 1, 1, 12, 16, 1, 64, 4)
    interface = [shape for n in outputs for shape in ((64, n), (n,))]
    assert shapes == [(134, 256), (256,), *interface, (128, 5), (5,)]
    assert len(shapes) == 24
    assert sum(math.prod(shape) for shape in shapes) == 43_980


def test_start():
    net = paper_net()
    for name, parameter in net.named_parameters():
        if name.endswith("bias") and name != "controller.gates.bias":
            assert not parameter.any()
            continue
        inputs = parameter.shape[0] if parameter.ndim == 2 else 134
        cut = 2.0 / math.sqrt(inputs)
        assert parameter.abs().max() <= cut
        if parameter.numel() > 1000:
            # Cutting at two deviations leaves 0.8796 of the deviation.
            assert parameter.std().item() == pytest.approx(0.8796 * cut / 2, rel=0.03)
    assert net.controller.gates.bias.std().item() == pytest.approx(0.8796 / math.sqrt(134), rel=0.1)
    again, other = paper_net(), paper_net(1)
    assert torch.equal(net.output.weight, again.output.weight)
    assert not torch.equal(net.output.weight, other.output.weight)


def test_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    paper_net()
    assert torch.equal(torch.random.get_rng_state(), before)


def test_outputs_and_state_are_clipped():
    net = paper_net()
    with torch.no_grad():
        net.output.weight.mul_(1e3)
        outputs = net(batch())
        assert outputs.abs().max() == 20.0
        net.controller.clip_value = 0.01
        _, state = net.unroll(batch(), net.initial_state(3))
    assert state.controller.h.abs().max() == pytest.approx(0.01)
    assert state.controller.c.abs().max() == pytest.approx(0.01)


def test_later_steps_and_other_sequences_play_no_part():
    net, inputs = paper_net(), batch()
    outputs = net(inputs)
    torch.testing.assert_close(net(inputs[:, :6]), outputs[:, :6])
    torch.testing.assert_close(net(inputs[1:2]), outputs[1:2])


def test_a_sequence_can_be_continued():
    net, inputs = paper_net(), batch()
    first, state = net.unroll(inputs[:, :4], net.initial_state(3))
    second, _ = net.unroll(inputs[:, 4:], state)
    torch.testing.assert_close(torch.cat((first, second), dim=1), net(inputs))


def test_many_models_at_once():
    nets, inputs = [paper_net(seed) for seed in range(3)], batch()
    stacked, _ = torch.func.stack_module_state(nets)

    def loss_of(parameters):
        return torch.func.functional_call(nets[0], parameters, (inputs,)).square().sum()

    gradients, losses = torch.func.vmap(torch.func.grad_and_value(loss_of))(stacked)
    for index, net in enumerate(nets):
        loss = net(inputs).square().sum()
        loss.backward()
        torch.testing.assert_close(losses[index], loss.detach())
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(gradients[name][index], parameter.grad, rtol=1e-3, atol=1e-6)


def test_gradients_of_single_sequences():
    net, inputs = paper_net(), batch()
    parameters = dict(net.named_parameters())

    def loss_of(parameters, sequence):
        return torch.func.functional_call(net, parameters, (sequence[None],)).square().sum()

    single = torch.func.vmap(torch.func.grad(loss_of), in_dims=(None, 0))(parameters, inputs)
    net(inputs).square().sum().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(single[name].sum(0), parameter.grad, rtol=1e-3, atol=1e-6)


def test_one_graph_for_a_compiler():
    net, inputs = paper_net(), batch(steps=3)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    outputs = compiled(inputs)
    torch.testing.assert_close(outputs, net(inputs))
    found = torch.autograd.grad(outputs.square().sum(), net.output.weight)
    expected = torch.autograd.grad(net(inputs).square().sum(), net.output.weight)
    torch.testing.assert_close(found, expected)


def test_everything_lives_on_the_device_of_the_weights():
    outputs = paper_net().to("meta")(torch.empty(3, 9, 6, device="meta"))
    assert outputs.shape == (3, 9, 5)
    assert outputs.device.type == "meta"
