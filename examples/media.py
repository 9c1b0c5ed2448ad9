"""Pictures, a video, a sound, a histogram, a table and text in one run.

stepwell run -- python examples/media.py
"""

import numpy as np

import stepwell

STEPS, SIDE = 10, 96

random = np.random.default_rng(0)
across, down = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))

with stepwell.init(project="media") as run:
    for step in range(STEPS):
        angle = step / STEPS * np.pi
        wave = np.sin(8 * (across * np.cos(angle) + down * np.sin(angle)))
        noisy = np.clip(wave + random.normal(0, 0.3, wave.shape), -2, 2)
        run.log(
            {
                "wave": stepwell.Image((wave + 1) / 2, caption=f"turned by {angle:.2f}"),
                "both": [stepwell.Image((each + 2) / 4) for each in (wave, noisy)],
                "noise": stepwell.Histogram(noisy - wave),
            }
        )
    turned = [across * np.cos(angle) + down * np.sin(angle) for angle in np.linspace(0, np.pi, 24)]
    film = np.stack([(np.sin(8 * each) + 1) / 2 for each in turned])[:, None]  # One grey channel.
    seconds = np.arange(16_000) / 16_000
    tone = 0.3 * np.sin(2 * np.pi * (220 + 110 * seconds) * seconds)
    run.log(
        {
            "turning": stepwell.Video(film, fps=12, caption="half a turn"),
            "rising": stepwell.Audio(tone, sample_rate=16_000, caption="one second"),
        }
    )
    table = stepwell.Table(columns=["picture", "angle", "mean", "is_steep"])
    for number in range(5):
        angle = number / 5 * np.pi
        wave = np.sin(8 * (across * np.cos(angle) + down * np.sin(angle)))
        table.add_data(
            stepwell.Image((wave + 1) / 2), angle, float(wave.mean()), bool(angle > np.pi / 4)
        )
    run.log({"waves": table, "note": stepwell.Html("<p>Waves, turned step by step.</p>")})
