/** Lines that make a sweep in a project. Pure. */

export function commandLines(project: string): string {
  return `cat > sweep.yaml <<'END'
program: train.py
method: random
metric: {name: loss, goal: minimize}
parameters:
  lr: {distribution: log_uniform_values, min: 0.0001, max: 0.1}
run_cap: 20
END
stepwell sweep sweep.yaml --project ${shellWord(project)}
`;
}

export function pythonLines(project: string): string {
  return `import stepwell

def train():
    with stepwell.init() as run:
        for step in range(100):
            run.log({"loss": run.config["lr"] / (step + 1)})

sweep_id = stepwell.sweep({
    "method": "random",
    "metric": {"name": "loss", "goal": "minimize"},
    "parameters": {"lr": {"min": 0.0001, "max": 0.1}},
}, project=${JSON.stringify(project)})
stepwell.agent(sweep_id, function=train, count=20)
`;
}

/** A word of a POSIX shell that stands for `text`. */
export function shellWord(text: string): string {
  return /^[\w.][\w./-]*$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
