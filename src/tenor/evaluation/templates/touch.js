for (const figure of document.querySelectorAll("figure[data-touch]")) {
  const shown = figure.querySelector("[data-shown]");
  figure.addEventListener("pointerdown", (event) => {
    const title = event.target.querySelector && event.target.querySelector("title");
    if (title) shown.textContent = title.textContent;
  });
}
