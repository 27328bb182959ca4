// The page around the sections: its name, one heading of the first rank, labels for readers of screens, all details on paper.

const LOGO = "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.4a5.6 5.6 0 1 1 0 11.2A5.6 5.6 0 0 1 8 2.4zM5.4 6.2a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm5.2 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4z";

function arrange() {
  const title = [...document.querySelectorAll("h1")].find((heading) => !heading.id && !heading.className);
  for (const heading of document.querySelectorAll("h1"))
    if (heading !== title) {
      const plain = node("div", { class: heading.className, id: heading.id || false }, ...heading.childNodes);
      heading.replaceWith(plain);
    }
  document.getElementById("page_title")?.remove();
  const home = document.querySelector(".side-nav-logo a");
  home?.replaceChildren(node("svg", { class: "nd-logo", viewBox: "0 0 16 16", fill: "currentColor", "aria-hidden": "true" }, node("path", { d: LOGO })), "nestde");
  document.title = `${title?.textContent.trim() ?? "Report"} · nestde`;
  for (const link of document.querySelectorAll(".mqc-toolbox-buttons a[title], .mqc-toolbox a[title]")) link.setAttribute("aria-label", link.title);
  document.querySelector(".mainpage")?.setAttribute("role", "main");
  document.querySelector(".mqc-nav")?.setAttribute("aria-label", "Sections");
  for (const table of document.querySelectorAll(".mqc-section table:not([aria-label])")) {
    const heading = table.closest(".mqc-section").querySelector("h3");
    if (heading) table.setAttribute("aria-label", heading.childNodes[0].textContent.trim());
  }
  for (const [key, mark] of [["beforeprint", true], ["afterprint", false]])
    addEventListener(key, () => document.querySelectorAll(mark ? "details:not([open])" : "details[data-shut]").forEach((each) => {
      each.toggleAttribute("data-shut", mark);
      each.open = mark;
    }));
}

if (document.readyState === "loading") addEventListener("DOMContentLoaded", arrange);
else arrange();
