// The values under the pointer, or of the step that the arrow keys have reached.
for (const figure of document.querySelectorAll("figure.chart")) {
  const { width, series } = JSON.parse(figure.querySelector("script").textContent);
  const svg = figure.querySelector("svg.plot"), hand = svg.querySelector(".hand"), out = figure.querySelector("output");
  const marks = [...new Set(series.flatMap((s) => s.points.map((p) => p[2])))].sort((a, b) => a - b);
  let at = -1;
  const nearest = (points, x) => points.reduce((a, b) => (Math.abs(b[2] - x) < Math.abs(a[2] - x) ? b : a));
  const show = (x) => {
    const found = series.map((s) => nearest(s.points, x));
    const first = nearest(found, x);
    for (const name of ["x1", "x2"]) hand.setAttribute(name, first[2]);
    hand.style.visibility = "visible";
    out.textContent = `step ${first[0].toLocaleString("en")}: ` +
      series.map((s, i) => `${s.name} ${found[i][1]}`).join(", ");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    show(((event.clientX - box.left) / box.width) * width);
  });
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    at = Math.min(marks.length - 1, Math.max(0, at + move));
    show(marks[at]);
  });
}
