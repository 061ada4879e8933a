// What is under the pointer, or at the place that the arrow keys have reached.
for (const figure of document.querySelectorAll("figure.chart")) {
  const marks = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector("svg.plot"), hand = svg.querySelector(".hand"), out = figure.querySelector("output");
  let at = -1;
  const show = (i) => {
    at = i;
    for (const name of ["x1", "x2"]) hand.setAttribute(name, marks[i][0]);
    hand.style.visibility = "visible";
    out.textContent = marks[i][2];
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), unit = svg.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * unit, y = (event.clientY - box.top) * unit;
    const far = (i) => Math.hypot(marks[i][0] - x, (marks[i][1] ?? y) - y);
    show(marks.reduce((best, _, i) => (far(i) < far(best) ? i : best), 0));
  });
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    show(Math.min(marks.length - 1, Math.max(0, at + move)));
  });
}
