// Light or dark: what the reader chose for this server, or else what the system says. It runs before anything is
// painted, so that no page flashes in the other colours.
const THEME = "dlrm.theme";

function stored() {
  try {
    return localStorage.getItem(THEME) ?? "system";
  } catch {
    return "system"; // Storage is switched off: the choice lasts as long as the page.
  }
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

apply(stored());
document.addEventListener("DOMContentLoaded", () => {
  const choice = document.getElementById("theme");
  choice.value = stored();
  choice.addEventListener("change", () => {
    apply(choice.value);
    try {
      localStorage.setItem(THEME, choice.value);
    } catch {
      // As above.
    }
  });
});
