-- `reads`: only these fields are decoded. What cast changes is spliced into the original when it is returned.
return {
  topic = "in",
  reads = { "amount", "user" },
  cast = function(event, envelope)
    print(event.amount, event.user and event.user.name, event.note, event["$topic"])
    if event.amount == 1 then
      event["$topic"] = "out.changed"
      event.amount = event.amount * 2
      event.added = true
      return event
    elseif event.amount == 2 then
      event["$topic"] = "out.removed"
      event.user = nil
      return event
    elseif event.amount == 3 then
      return { ["$topic"] = "out.new", amount = event.amount }
    else
      event["$topic"] = "out.same"
      event.user.name = "changed inside"
      return event
    end
  end,
}
