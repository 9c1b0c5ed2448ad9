"""Watch a PyTorch model: its gradients and parameters become histograms by step.

pip install torch
stepwell run -- python examples/watch_torch.py
"""

import torch

import stepwell

EPOCHS, BATCH = 20, 50

torch.manual_seed(0)
inputs = torch.rand(2000, 2) * 6 - 3
targets = (inputs.norm(dim=1) < 2).long()  # Inside of a circle, or not.
model = torch.nn.Sequential(
    torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh(),
    torch.nn.Linear(32, 2),
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), 0.01)

with stepwell.init(project="circle", config={"rate": 0.01, "epochs": EPOCHS}) as run:
    run.watch(model, log="all", log_freq=20)
    for epoch in range(EPOCHS):
        for chosen in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs[chosen]), targets[chosen])
            loss.backward()
            optimizer.step()
            run.log({"epoch": epoch, "loss": loss.item()})
        correct = (model(inputs).argmax(1) == targets).float().mean().item()
        run.log({"epoch": epoch, "accuracy": correct})
