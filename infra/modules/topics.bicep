// Event Grid: the storage account's system topic, who may write its dead-letters, and the topic of completed manifests.
param location string
param tags object
param token string
param storageId string
param storageName string
param deadLettersContainer string

@description('Resource id and principal of the identity with which undeliverable events are stored.')
param identityId string
param identityPrincipalId string

@description('Make the topic that Darkroom.ManifestCompleted is published to.')
param completionTopic bool

@description('Who publishes there: the function app.')
param publisherPrincipalId string

var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor, which Event Grid asks for
var eventGridDataSender = 'd5a91429-5739-47e2-a06b-3470a27159e7' // EventGrid Data Sender

resource systemTopic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: 'evgt-images-${token}'
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    source: storageId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  name: '${storageName}/default/${deadLettersContainer}'
}

resource deadLetterGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(deadLetters.id, identityPrincipalId, blobDataContributor)
  scope: deadLetters
  properties: {
    principalId: identityPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    description: 'Event Grid stores events that it could not deliver.'
  }
}

resource completions 'Microsoft.EventGrid/topics@2025-02-15' = if (completionTopic) {
  name: 'evgt-completed-${token}'
  location: location
  tags: tags
  properties: {
    inputSchema: 'EventGridSchema'
    disableLocalAuth: true
    minimumTlsVersionAllowed: '1.2'
    publicNetworkAccess: 'Enabled' // publishers and subscribers are told by Entra ID; see docs/security.md
  }
}

resource publisherGrant 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (completionTopic) {
  name: guid(completions.id, publisherPrincipalId, eventGridDataSender)
  scope: completions
  properties: {
    principalId: publisherPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', eventGridDataSender)
    description: 'The function app publishes Darkroom.ManifestCompleted.'
  }
}

output systemTopicId string = systemTopic.id
output systemTopicName string = systemTopic.name
output completionEndpoint string = completionTopic ? completions.properties.endpoint : ''
