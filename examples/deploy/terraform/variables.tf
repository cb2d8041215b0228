variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "micro-event-store"
}

variable "listener_zip" {
  description = "A zip file with the listener's bootstrap."
  type        = string
}

variable "trigger_zip" {
  description = "A zip file with the trigger's bootstrap."
  type        = string
}

variable "event_types" {
  description = "A regular expression that the types of the events to keep match; empty for all."
  type        = string
  default     = ""
}

variable "wait_for" {
  description = "The event types that the trigger waits for, with commas between them."
  type        = string
  default     = ""
}

variable "retention" {
  description = "How long events are kept, such as 792h, or never."
  type        = string
  default     = "792h"
}

variable "on_expiry" {
  description = "Whether the trigger is also called for events that the TTL has removed."
  type        = bool
  default     = false
}

variable "maximum_age" {
  description = "How old a record may become, in seconds, before it goes to the failure queue. The streams keep it for 86400, and whoever reads the queue has what is left of that to look at it."
  type        = number
  default     = 43200

  validation {
    condition     = var.maximum_age >= 60 && var.maximum_age <= 86400
    error_message = "It can be from 60 seconds, the least that Lambda takes, to 86400, for longer the streams keep no record."
  }
}

variable "alarm_topic" {
  description = "The ARN of an SNS topic that the alarms tell; null for none."
  type        = string
  default     = null
}
