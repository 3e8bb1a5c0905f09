// A form that was sent is not sent again by a second click; going back makes it usable again.

export function forms(root) {
  for (const form of root.querySelectorAll('form[method="post"]')) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "yes";
      event.submitter?.setAttribute("aria-busy", "true");
      // A file that is downloaded leaves this page standing, and may be wanted again.
      if ("download" in form.dataset) window.setTimeout(() => again(form), 3000);
    });
  }
  window.addEventListener("pageshow", () => {
    for (const form of root.querySelectorAll("form[data-sent]")) again(form);
  });
}

function again(form) {
  delete form.dataset.sent;
  form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
}
