"use strict";
(() => {
  for (const slider of document.querySelectorAll(".compare")) {
    const range = slider.querySelector("input[type=range]");
    const move = () => slider.style.setProperty("--at", `${range.value}%`);
    range.addEventListener("input", move);
    move();
  }
  for (const button of document.querySelectorAll("[data-layer]")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on);
      document.querySelector(".compare").classList.toggle(`show-${button.dataset.layer}`, on);
    });
  }
})();
