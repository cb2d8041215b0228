output "stream_name" {
  value = aws_kinesis_stream.stream.name
}

output "table_name" {
  value = aws_dynamodb_table.events.name
}

output "faults_table_name" {
  value = aws_dynamodb_table.faults.name
}

output "failure_queue" {
  value = aws_sqs_queue.failures.url
}
