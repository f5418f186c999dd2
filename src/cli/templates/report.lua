-- report: prints each alert.

---@type Spell
return {
  topic = "alerts",

  cast = function(event)
    print(("alert: %d, %d in all"):format(event.amount, event.total))
  end,
}
